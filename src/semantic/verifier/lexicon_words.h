// The word lists of lexicon.h. Words are parted by blanks, phrases by commas, poles by bars, sets by lines.
#pragma once

#include <string_view>

namespace payonce::semantic::words {

inline constexpr std::string_view kStop =
    "a an the of to in on at by for with from into onto about as is are was were be been being am do does did done "
    "have has had having i you we one it its this that these those my your our me us myself yourself ourselves and "
    "or "
    "but if then so than there here will would shall should can could may might must ought get got getting any some "
    "just really actually very too also what which who whom whose when where why how s t re ve ll d m let lets";
inline constexpr std::string_view kNegation =
    "not no never without cannot neither nor none nobody nothing nowhere cant dont doesnt didnt isnt arent wasnt "
    "werent "
    "wont wouldnt couldnt shouldnt havent hasnt hadnt aint except excluding";
inline constexpr std::string_view kDate =
    "january february march april june july august september october november december jan feb apr jun jul aug sep "
    "sept oct nov dec monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thurs fri today "
    "tomorrow yesterday tonight weekend christmas easter thanksgiving";
inline constexpr std::string_view kWh = "what which who whom whose when where why how";
inline constexpr std::string_view kModal =
    "can could should would will shall may might must is are was were do does did has have had am";
inline constexpr std::string_view kRole =
    "from to into onto of for by with against in on at before after than over under as through between towards via "
    "without within during since until about near upon beyond behind out off";
inline constexpr std::string_view kEither = "or and vs versus between both either";
inline constexpr std::string_view kOther =
    "he she they him her them his hers their theirs himself herself themselves";

inline constexpr std::string_view kNumbers =
    "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen twenty";

// Opposites, or names of a set of which an answer fits one: when each question names one and none is in both, the
// answers differ. A pole's words mean the same.
inline constexpr std::string_view kContrasts =
    R"(enable,activate,turn on,switch on,enabling,activation|disable,deactivate,turn off,switch off,disabling,deactivation
start,begin,launch|stop,halt,terminate,quit,shut down
add,insert|remove,delete,erase,drop
create|delete,destroy,remove
increase,raise,boost,grow,gain|decrease,reduce,lower,lessen,shrink,lose
before,prior|after,following
buy,purchase|sell
open,reopen|close,shut
allow,permit,unblock,whitelist|block,forbid,deny,prohibit,ban,blacklist
upload|download
import|export
install|uninstall
lock|unlock
subscribe|unsubscribe
mute|unmute
hide|show,unhide
follow|unfollow
pin|unpin
mount|unmount,umount
archive|unarchive,restore
freeze|unfreeze,thaw
enroll,enrol,join|leave,withdraw
connect|disconnect
attach|detach
encrypt|decrypt
encode|decode
compress,zip|decompress,unzip
compile|decompile
expand|collapse
grant|revoke
accept,approve|reject,decline,refuse,disapprove
log in,login,sign in,signin|log out,logout,sign out,signout,log off
push|pull
read|write
send|receive
lend|borrow
deposit|withdraw,withdrawal
credit|debit
incoming,inbound|outgoing,outbound
input|output
internal|external
inside,indoor,indoors|outside,outdoor,outdoors
above|below
maximum,max,highest,most,largest,biggest,longest,tallest|minimum,min,lowest,least,smallest,shortest
higher,more,larger,bigger|lower,less,fewer,smaller
upgrade,update|downgrade,roll back,rollback
ascending|descending
first,earliest|last,latest
oldest,eldest|newest,youngest
best,greatest|worst
good,positive|bad,negative
better|worse
advantage,benefit,pro|disadvantage,drawback,con
strength|weakness
true|false
public|private
local,on premise|remote,cloud
hot,warm|cold,cool
easy,simple|hard,difficult
early|late
cheap,cheaper,cheapest,inexpensive|expensive,costly
fast,quick,quickly|slow,slowly
strong|weak
rich|poor
young|old
light|heavy
left|right
north,northern|south,southern|east,eastern|west,western
male,man,boy,guy,men|female,woman,girl,women,lady
husband|wife
boyfriend|girlfriend
father,dad|mother,mom,mum
son|daughter
brother|sister
king|queen
morning|evening,afternoon,night
summer|winter|spring|autumn,fall
daily|weekly|monthly|yearly,annual,annually|hourly
vertical|horizontal
domestic|foreign,international,abroad
legal|illegal
possible|impossible
introvert|extrovert
import|export
employee|employer
student|teacher
landlord|tenant
mandatory,required,compulsory|optional
pause|resume,unpause
promote|demote
hire,recruit|fire,dismiss
win|lose
pass|fail
arrive,arrival|depart,departure
cause|prevent,cure
past|future
beginner|advanced,expert
single|married
vegetarian,vegan|non vegetarian
online|offline
production|staging
frontend,front end|backend,back end
client|server
breakfast|lunch|dinner
red|blue|green|yellow|black|white|purple|orange|pink|brown)";

// Of one meaning in most questions.
inline constexpr std::string_view kMeanings =
    R"(show,list,display,view,see
fix,repair,resolve,troubleshoot
begin,commence
large,big,huge
photo,picture,image,pic,photograph
movie,film
phone,mobile,smartphone,cellphone,cell phone,mobile phone
laptop,notebook
job,work
earn,make money
price,cost,fee
company,firm,business
improve,enhance
learn,study
country,nation
person,people,individual,someone,somebody,anyone,anybody,everyone
way,method,approach,technique
tip,advice,suggestion
book a,reserve a
book,reserve
summarise,summarize,summary
find,search,look for,locate
need,require
use,utilize,utilise
change,modify,alter,edit
error,bug,issue,problem
doctor,physician
car,automobile
kid,child
quit,give up
happen,occur
important,significant
difference,differ,different,distinguish
mean,meaning,definition,define,stand for
vs,versus
favorite,favourite
color,colour
center,centre
organize,organise
organization,organisation
email,e mail,mail
website,web site,site
internet,web
application,app
document,doc
config,configuration,configure,set up,setup
repository,repo
database,db
kubernetes,k8s
javascript,js
password,passcode
account,acct
information,info,details
maximum,max
minimum,min
america,american,usa,united states,u.s,u.s.a
uk,u.k,united kingdom,britain,british
tv,television
ad,advertisement,advert
lose weight,weight loss
prepare,preparation
help,assist
choose,select,pick
talk,speak
beautiful,pretty
smart,intelligent,clever
afraid,scared
wrong,incorrect
correct,right
fast,quick,rapid
reset,restart
cancel,call off
return,send back
two factor,two-factor,2fa,two-step,mfa
temperature,temp
weather,forecast
flight,plane ticket
explain,describe
get rid of,remove
deploy,roll out
delete,remove,erase)";

// form:base for verbs and nouns that the stem rules cannot reach.
inline constexpr std::string_view kIrregular =
    "is:be are:be was:be were:be am:be been:be being:be has:have had:have having:have does:do did:do done:do "
    "doing:do went:go gone:go goes:go made:make got:get gotten:get bought:buy children:child men:man women:woman "
    "lost:lose won:win came:come took:take taken:take gave:give given:give saw:see seen:see knew:know known:know "
    "thought:think told:tell said:say found:find left:leave felt:feel kept:keep began:begin begun:begin wrote:write "
    "written:write spoke:speak spoken:speak chose:choose chosen:choose drove:drive driven:drive ate:eat eaten:eat "
    "fell:fall fallen:fall flew:fly flown:fly forgot:forget forgotten:forget grew:grow grown:grow met:meet paid:pay "
    "ran:run sold:sell sent:send slept:sleep spent:spend stood:stand taught:teach wore:wear worn:wear died:die "
    "dying:die lying:lie tying:tie using:use used:use feet:foot teeth:tooth mice:mouse lives:life wives:wife "
    "knives:knife learnt:learn burnt:burn built:build broke:break broken:break brought:bring caught:catch "
    "became:become held:hold heard:hear led:lead meant:mean read:read stole:steal stolen:steal swam:swim "
    "understood:understand woke:wake data:data news:news series:series";

inline constexpr std::string_view kOpenings =
    "please, could you, can you, would you, will you, could you please, can you please, would you please, would you "
    "mind, "
    "i would like you to, i would like to know, i want to know, i need to know, i want you to, i need you to, "
    "i would like to, i wish to know, i am trying to find out, i was wondering, i am wondering, "
    "do you know, does anyone know, does anybody know, can anyone tell me, can anybody tell me, can someone tell me, "
    "can someone explain, can anyone explain, "
    "tell me, help me, help me to, let me know, hey, hi, hello, hi there, hello there, dear, ok, okay, so, well, um, "
    "kindly, quick question, just wondering, any idea, good morning, good afternoon, thanks, excuse me, sorry, if, "
    "whether, guys, is there any chance you could, any chance you could, be so kind and";
inline constexpr std::string_view kClosings =
    "please, thanks, thank you, thanks a lot, thank you very much, thanks in advance, many thanks, thx, cheers, "
    "for me, for me please, asap, right now please, i would appreciate it, if you can, if possible, if you could, "
    "if you do not mind, kindly";

}  // namespace payonce::semantic::words
