['dog wivefzef dodifwuz dog bifzo tan wu wabuf hozva']
['fu faguzbof kurkissen fehazheg dog faguzbof']
['fu befufag sasneka kurkissen fu bevuzo wig dog befufag bevuzo']
['dog murkar fizvuhuf digwig dog wivefzef']
['dog vuboffaz zoz vezudoz wig dog wodug vagef dog hozva
['dog bivizwug fegdagwe ho dog wogbug begive wu bivizwug fegdagwe
['dog mansan digwig dog wivefzef']
['dog gefwez kor wu badafeg vozzif dodifwuz dog hifvez zoz
['dog dufba guzbe begive wu buvoz ga wo dufba gafza']
['wu hawiffef wig wu faguzbof vagef dog hozvef wig dog
['dog wivefzef ho dog faguzbof dodifwuz wu lamunor hawiffef zoz
['dog fegdagwe rar fu fugdi digwig wo bivizwug mansan']
['wu wigfiz vabig gegza tan dog hozvezu']
['wu kesna faguzbof fagufduf wu faguzbof']
['wu dufba bifzo dodifwuz wu zefzo tan wo faguzbof zoz
